/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <errno.h> of the freestanding kernel: the numbers third-party parts compile against.
 * There is no errno variable; our own code returns -RAY_E* of kernel/lib/err.h, which has
 * the same values where both have a name.
 */
#ifndef RAYOS_LIBC_ERRNO_H
#define RAYOS_LIBC_ERRNO_H

#define EPERM     1
#define ENOENT    2
#define EIO       5
#define E2BIG     7
#define EAGAIN    11
#define ENOMEM    12
#define EFAULT    14
#define EBUSY     16
#define EEXIST    17
#define ENODEV    19
#define EINVAL    22
#define ENOSPC    28
#define ERANGE    34
#define ENOSYS    38
#define EPROTO    71
#define EOVERFLOW 75
#define ETIMEDOUT 110
#define ECANCELED 125

#endif
