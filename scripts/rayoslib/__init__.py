# SPDX-License-Identifier: Apache-2.0
"""Shared by the scripts and the boot tests: machines, results, paths."""
