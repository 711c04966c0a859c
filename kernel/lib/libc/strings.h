/* SPDX-License-Identifier: Apache-2.0 */
/* <strings.h>: strcasecmp and strncasecmp, declared in string.h here. */
#ifndef RAYOS_LIBC_STRINGS_H
#define RAYOS_LIBC_STRINGS_H

#include <string.h>

#endif
