/* SPDX-License-Identifier: Apache-2.0 */
/* What guests find at CID 2: an echo to test with, and a few facts about where they are. */
#include "devices/virt/vsock_host.h"
#include "kernel/lib/json.h"
#include "kernel/lib/sink.h"
#include "kernel/time/time.h"
#include "version.h"

#define PORT_ECHO 7u
#define PORT_INFO 1024u

#define CHUNK 512u

static void echo_event(struct vstream *s, uint32_t events)
{
	char buf[CHUNK];
	int n;

	(void)events;
	do {
		/* Read no more than can be sent: what waits holds its writer up. */
		n = vstream_read(s, buf, MIN(sizeof(buf), vstream_room(s)));
		if (n > 0)
			vstream_write(s, buf, (size_t)n);
	} while (n > 0);
	if (n < 0)
		vstream_close(s);
}

static const struct vsock_service vsock_service_echo = {
	.name = "echo",
	.port = PORT_ECHO,
	.event = echo_event,
};
VSOCK_SERVICE(echo);

/* One line, then the end. */
static void info_event(struct vstream *s, uint32_t events)
{
	char line[CHUNK];
	struct buf_sink b;
	struct json j;

	if (!(events & VSTREAM_OPENED))
		return;
	buf_sink_init(&b, line, sizeof(line));
	json_init(&j, &b.sink);
	json_object(&j, NULL);
	json_str(&j, "hypervisor", "RayOS");
	json_str(&j, "version", RAYOS_VERSION);
	json_str(&j, "vm", vstream_vm(s));
	json_u64(&j, "time_ns", time_wall_ns());
	json_finish(&j);
	vstream_write(s, line, b.len);
	vstream_close(s);
}

static const struct vsock_service vsock_service_info = {
	.name = "info",
	.port = PORT_INFO,
	.event = info_event,
};
VSOCK_SERVICE(info);
