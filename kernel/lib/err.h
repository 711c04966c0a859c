/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error codes. Functions return 0 or one of these, negated already; results go through
 * out-pointers. A code crosses layers unchanged; the text for people is ray_strerror().
 */
#ifndef RAYOS_KERNEL_LIB_ERR_H
#define RAYOS_KERNEL_LIB_ERR_H

enum ray_err {
	RAY_OK = 0,
	RAY_EPERM = 1,      /* a policy says no */
	RAY_ENOENT = 2,     /* no object of that name */
	RAY_EIO = 5,        /* the device failed */
	RAY_E2BIG = 7,      /* input larger than the limit */
	RAY_EAGAIN = 11,    /* not now; try again */
	RAY_ENOMEM = 12,    /* out of memory */
	RAY_EFAULT = 14,    /* address outside the object */
	RAY_EBUSY = 16,     /* in use */
	RAY_EEXIST = 17,    /* name taken */
	RAY_ENODEV = 19,    /* no such hardware */
	RAY_EINVAL = 22,    /* malformed or contradictory argument */
	RAY_ENOSPC = 28,    /* container full */
	RAY_EROFS = 30,     /* may only be read */
	RAY_ERANGE = 34,    /* number outside its range, or arithmetic would wrap */
	RAY_ENOSYS = 38,    /* not offered by this CPU or build */
	RAY_ENOEXEC = 80,   /* image format not recognised or damaged */
	RAY_EPROTO = 71,    /* peer broke the protocol */
	RAY_ETIMEDOUT = 110,
	RAY_ECANCELED = 125,
};

/**
 * Short English text of an error code ("out of memory").
 * @err  0 or a negative code; an unknown one gives "unknown error"
 * Context: any. Returns: static string, never NULL.
 */
const char *ray_strerror(int err);

#endif
