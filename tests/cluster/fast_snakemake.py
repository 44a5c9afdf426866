"""Snakemake with short waits: the plugin adds ten seconds after each look at the queue that saw no job end."""

import asyncio
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


async def sleep(executor: RemoteExecutor) -> None:
    """Wait half a second."""
    executor.next_seconds_between_status_checks = 0
    await asyncio.sleep(0.5)


RemoteExecutor.sleep = sleep

if __name__ == "__main__":
    main(sys.argv[1:])
