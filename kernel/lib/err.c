// SPDX-License-Identifier: Apache-2.0
/* Owns: the text of each error code. No state; any context. */
#include "kernel/lib/err.h"

const char *ray_strerror(int err)
{
	/* A switch, not a table: the compiler then names a code that has no text. */
	switch ((enum ray_err)(err < 0 ? -(unsigned int)err : 0u)) {
	case RAY_OK:
		return err == 0 ? "success" : "unknown error"; /* positive: not a code */
	case RAY_EPERM:
		return "not permitted";
	case RAY_ENOENT:
		return "not found";
	case RAY_EIO:
		return "input/output error";
	case RAY_E2BIG:
		return "too large";
	case RAY_EAGAIN:
		return "not now, try again";
	case RAY_ENOMEM:
		return "out of memory";
	case RAY_EFAULT:
		return "bad address";
	case RAY_EBUSY:
		return "busy";
	case RAY_EEXIST:
		return "already exists";
	case RAY_ENODEV:
		return "no such device";
	case RAY_EINVAL:
		return "invalid argument";
	case RAY_ENOSPC:
		return "no space left";
	case RAY_EROFS:
		return "read-only";
	case RAY_ERANGE:
		return "out of range";
	case RAY_ENOSYS:
		return "not supported here";
	case RAY_ENOEXEC:
		return "image format not recognised or damaged";
	case RAY_EPROTO:
		return "protocol violated by the peer";
	case RAY_ETIMEDOUT:
		return "timed out";
	case RAY_ECANCELED:
		return "cancelled";
	}
	return "unknown error";
}
