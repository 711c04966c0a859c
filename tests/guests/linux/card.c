// SPDX-License-Identifier: Apache-2.0
/*
 * Draw a test card through DRM and keep it on the screen until killed.
 *
 *   card [WIDTH HEIGHT]     in this mode, or in the connector's first
 *
 * Pixel (x, y) is red x, green y, blue x^y, each modulo 256, so that whoever reads the screen
 * can tell any pixel in a wrong place; rayoslib.guest.test_card() is the same picture.
 */
#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MODES_MAX 128
#define IDS_MAX 8

struct screen {
	int fd;
	uint32_t connector;
	uint32_t crtc;
	struct drm_mode_modeinfo mode;
};

static void fail(const char *what)
{
	fprintf(stderr, "card: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void call(int fd, unsigned long request, void *argument, const char *what)
{
	if (ioctl(fd, request, argument) < 0)
		fail(what);
}

/* The first mode of @modes, or the first of the given size. */
static struct drm_mode_modeinfo pick(const struct drm_mode_modeinfo *modes, uint32_t count,
				     int width, int height)
{
	for (uint32_t i = 0; i < count; i++)
		if (!width || (modes[i].hdisplay == width && modes[i].vdisplay == height))
			return modes[i];
	errno = EINVAL;
	fail("no such mode");
	exit(1);
}

static void find(struct screen *screen, int width, int height)
{
	static struct drm_mode_modeinfo modes[MODES_MAX];
	uint32_t connectors[IDS_MAX], crtcs[IDS_MAX];
	struct drm_mode_card_res resources = {
		.connector_id_ptr = (uintptr_t)connectors, .count_connectors = IDS_MAX,
		.crtc_id_ptr = (uintptr_t)crtcs, .count_crtcs = IDS_MAX,
	};

	call(screen->fd, DRM_IOCTL_MODE_GETRESOURCES, &resources, "resources");
	if (!resources.count_connectors || !resources.count_crtcs) {
		errno = ENODEV;
		fail("no connector");
	}
	screen->connector = connectors[0];
	screen->crtc = crtcs[0];

	/* Asked without room for modes, the kernel probes the connector anew. */
	struct drm_mode_get_connector connector = { .connector_id = screen->connector };

	call(screen->fd, DRM_IOCTL_MODE_GETCONNECTOR, &connector, "connector");
	connector = (struct drm_mode_get_connector){
		.connector_id = screen->connector,
		.modes_ptr = (uintptr_t)modes, .count_modes = MODES_MAX,
	};
	call(screen->fd, DRM_IOCTL_MODE_GETCONNECTOR, &connector, "modes");
	if (connector.count_modes > MODES_MAX)
		connector.count_modes = 0; /* then nothing was copied */
	screen->mode = pick(modes, connector.count_modes, width, height);
}

static void draw(uint32_t *pixels, uint32_t pitch, uint32_t width, uint32_t height)
{
	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++)
			pixels[y * (pitch / 4) + x] = (x & 0xff) << 16 | (y & 0xff) << 8 |
						      ((x ^ y) & 0xff);
}

static void show(const struct screen *screen)
{
	struct drm_mode_create_dumb dumb = {
		.width = screen->mode.hdisplay, .height = screen->mode.vdisplay, .bpp = 32,
	};
	call(screen->fd, DRM_IOCTL_MODE_CREATE_DUMB, &dumb, "create buffer");

	struct drm_mode_fb_cmd frame = {
		.width = dumb.width, .height = dumb.height, .pitch = dumb.pitch,
		.bpp = 32, .depth = 24, .handle = dumb.handle,
	};
	call(screen->fd, DRM_IOCTL_MODE_ADDFB, &frame, "add frame buffer");

	struct drm_mode_map_dumb map = { .handle = dumb.handle };

	call(screen->fd, DRM_IOCTL_MODE_MAP_DUMB, &map, "map buffer");

	void *pixels = mmap(NULL, dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED, screen->fd,
			    (off_t)map.offset);

	if (pixels == MAP_FAILED)
		fail("mmap");
	draw(pixels, dumb.pitch, dumb.width, dumb.height);

	uint32_t connector = screen->connector;
	struct drm_mode_crtc crtc = {
		.set_connectors_ptr = (uintptr_t)&connector, .count_connectors = 1,
		.crtc_id = screen->crtc, .fb_id = frame.fb_id,
		.mode_valid = 1, .mode = screen->mode,
	};
	call(screen->fd, DRM_IOCTL_MODE_SETCRTC, &crtc, "set mode");

	struct drm_mode_fb_dirty_cmd dirty = { .fb_id = frame.fb_id };

	/* Not every driver needs to be told. */
	if (ioctl(screen->fd, DRM_IOCTL_MODE_DIRTYFB, &dirty) < 0 && errno != ENOSYS)
		fail("flush");
	printf("card: %ux%u\n", dumb.width, dumb.height);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct screen screen = { .fd = open("/dev/dri/card0", O_RDWR | O_CLOEXEC) };

	if (argc != 1 && argc != 3) {
		fprintf(stderr, "usage: card [WIDTH HEIGHT]\n");
		return 2;
	}
	if (screen.fd < 0)
		fail("/dev/dri/card0");
	find(&screen, argc == 3 ? atoi(argv[1]) : 0, argc == 3 ? atoi(argv[2]) : 0);
	show(&screen);
	pause();
	return 0;
}
