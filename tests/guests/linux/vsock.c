// SPDX-License-Identifier: Apache-2.0
/*
 * Streams over AF_VSOCK for tests.
 *
 *   vsock cid               print the number this guest is addressed by
 *   vsock connect CID PORT  join standard input and output to a peer's port
 *   vsock listen PORT       the same with the first peer that connects
 *   vsock echo PORT         send back what each peer sends, one after another, for ever
 *
 * connect and listen end when both directions have.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
/* Wants struct sockaddr declared before it. */
#include <linux/vm_sockets.h>

static char buffer[65536];

static void fail(const char *what)
{
	fprintf(stderr, "vsock: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned int number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value > 0xffffffff) {
		errno = EINVAL;
		fail(text);
	}
	return (unsigned int)value;
}

/* Move what can be read at once from @from to @to; 0 at the end of the stream, -1 on errors. */
static ssize_t copy(int from, int to)
{
	ssize_t size = read(from, buffer, sizeof(buffer));

	for (ssize_t done = 0; done < size;) {
		ssize_t now = write(to, buffer + done, (size_t)(size - done));

		if (now < 0)
			return -1;
		done += now;
	}
	return size;
}

static void join(int peer)
{
	struct pollfd sides[] = { { .fd = 0, .events = POLLIN }, { .fd = peer, .events = POLLIN } };

	/* A side that has ended is taken out by a negative number. */
	while (sides[0].fd >= 0 || sides[1].fd >= 0) {
		if (poll(sides, 2, -1) < 0)
			fail("poll");
		for (int i = 0; i < 2; i++) {
			ssize_t moved = sides[i].revents ? copy(sides[i].fd, i ? 1 : peer) : 1;

			if (moved < 0)
				fail(i ? "from the peer" : "to the peer");
			if (moved == 0) {
				sides[i].fd = -1;
				if (i == 0)
					shutdown(peer, SHUT_WR);
			}
		}
	}
}

static int open_socket(void)
{
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

static int listen_at(unsigned int port)
{
	int fd = open_socket();
	struct sockaddr_vm here = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port,
	};

	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0 || listen(fd, 8) < 0)
		fail("listen");
	return fd;
}

static int accept_at(int listener)
{
	int peer = accept(listener, NULL, NULL);

	if (peer < 0)
		fail("accept");
	return peer;
}

static void echo(unsigned int port)
{
	int listener = listen_at(port);

	for (;;) {
		int peer = accept_at(listener);

		while (copy(peer, peer) > 0)
			;
		close(peer);
	}
}

static int connect_to(unsigned int cid, unsigned int port)
{
	int fd = open_socket();
	struct sockaddr_vm there = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };

	if (connect(fd, (struct sockaddr *)&there, sizeof(there)) < 0)
		fail("connect");
	return fd;
}

static void print_cid(void)
{
	unsigned int cid;
	int fd = open("/dev/vsock", O_RDONLY);

	if (fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0)
		fail("/dev/vsock");
	printf("%u\n", cid);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	/* A peer that went away is an error of write(). */
	signal(SIGPIPE, SIG_IGN);

	if (argc == 2 && !strcmp(what, "cid"))
		print_cid();
	else if (argc == 4 && !strcmp(what, "connect"))
		join(connect_to(number(argv[2]), number(argv[3])));
	else if (argc == 3 && !strcmp(what, "listen"))
		join(accept_at(listen_at(number(argv[2]))));
	else if (argc == 3 && !strcmp(what, "echo"))
		echo(number(argv[2]));
	else {
		fprintf(stderr, "usage: vsock cid | connect CID PORT | listen PORT | echo PORT\n");
		return 2;
	}
	return 0;
}
