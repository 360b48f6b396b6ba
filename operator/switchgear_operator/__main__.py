"""`python -m switchgear_operator run`: read the options, set up the logs, run until a signal."""

import asyncio
import logging
import signal
import sys
from contextlib import suppress

from .cluster import Cluster
from .connection import Connection, ConnectionFailedError
from .controller import Controller, ResourceGoneError
from .logs import set_up_logs
from .options import Options, parse_options

_log = logging.getLogger("switchgear_operator")


def main() -> int:
    """Run the operator; the exit status is 0 after SIGTERM or SIGINT, 1 if it could not go on, 2 for bad options."""
    options = parse_options(sys.argv[1:])
    set_up_logs(options.log_format, options.log_level)
    return asyncio.run(_run(options))


async def _run(options: Options) -> int:
    running = asyncio.current_task()
    assert running is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    connection = Connection(options.kubeconfig, options.context)
    try:
        with suppress(asyncio.CancelledError):
            async with Cluster(connection) as cluster:
                await Controller(options, cluster, connection).run()
    except (ConnectionFailedError, ResourceGoneError) as error:
        _log.error("%s", error)
        return 1
    except OSError as error:
        _log.error(
            "cannot listen on %s port %d: %s; give --address or --port", options.address, options.port, error
        )
        return 1
    except Exception:
        _log.exception("the operator cannot go on")
        return 1
    _log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
