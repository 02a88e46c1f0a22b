# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: processes, servers, plumb itself and the spans it prints."""
