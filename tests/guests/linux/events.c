// SPDX-License-Identifier: Apache-2.0
/*
 * Print what input devices report, until one has been silent for some time.
 *
 *   events SECONDS     wait for the first event for ever, for each further one so long
 *
 * "device 0 RayOS keyboard" for each of /dev/input/event*, "ready", then "0 1 30 1" for an
 * event: number of the device, type, code and value as in linux/input.h, without the
 * synchronisation reports. What the kernel dropped is "0 dropped".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEVICES_MAX 16

static struct pollfd device[DEVICES_MAX];
static int number[DEVICES_MAX];

static int devices_open(void)
{
	char path[32], name[128];
	int count = 0;

	for (int i = 0; i < DEVICES_MAX; i++) {
		snprintf(path, sizeof(path), "/dev/input/event%d", i);
		device[count].fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (device[count].fd < 0)
			continue;
		if (ioctl(device[count].fd, EVIOCGNAME(sizeof(name)), name) < 0)
			strcpy(name, "?");
		printf("device %d %s\n", i, name);
		device[count].events = POLLIN;
		number[count++] = i;
	}
	return count;
}

static void events_print(int fd, int n)
{
	struct input_event ev[64];
	ssize_t size;

	while ((size = read(fd, ev, sizeof(ev))) > 0) {
		for (size_t i = 0; i < (size_t)size / sizeof(ev[0]); i++) {
			if (ev[i].type != EV_SYN)
				printf("%d %d %d %d\n", n, ev[i].type, ev[i].code, ev[i].value);
			else if (ev[i].code == SYN_DROPPED)
				printf("%d dropped\n", n);
		}
	}
}

int main(int argc, char **argv)
{
	int count = devices_open(), wait = -1;

	if (argc != 2 || atoi(argv[1]) <= 0) {
		fprintf(stderr, "usage: events SECONDS\n");
		return 2;
	}
	printf("ready\n");
	fflush(stdout);
	while (poll(device, (nfds_t)count, wait) > 0) {
		for (int i = 0; i < count; i++) {
			if (device[i].revents)
				events_print(device[i].fd, number[i]);
		}
		fflush(stdout);
		wait = atoi(argv[1]) * 1000;
	}
	return 0;
}
