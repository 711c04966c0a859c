/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/platform.h"

#include "kernel/panic.h"

static const struct vplatform_ops *platform_ops;

void hv_platform_register(const struct vplatform_ops *ops)
{
	ASSERT(!platform_ops && ops->create && ops->destroy && ops->power_button);
	platform_ops = ops;
}

const struct vplatform_ops *hv_platform(void)
{
	return platform_ops;
}
