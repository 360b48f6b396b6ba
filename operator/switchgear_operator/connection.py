"""Where the API server is and who we are to it: a kubeconfig if one is named, else the pod's service account."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import kopf
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

__all__ = ["Connection", "ConnectionFailedError"]

TOKEN_LIFE = timedelta(minutes=1)
"""How long a token that was read is used before it is read again: service account tokens rotate."""


class ConnectionFailedError(Exception):
    """There is no usable configuration for the API server; the message says what was tried."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the API server.

    Args:
        kubeconfig: Path of a kubeconfig; None: the environment variable KUBECONFIG, else the service account.
        context: The kubeconfig's context; None: its current one.
    """

    kubeconfig: str | None = None
    context: str | None = None

    async def load(self) -> Configuration:
        """Read the configuration anew, token included.

        Raises:
            ConnectionFailedError: It cannot be read.
        """
        configuration = Configuration()
        kubeconfig = self.kubeconfig or os.environ.get("KUBECONFIG")
        try:
            if kubeconfig or self.context:
                await config.load_kube_config(  # type: ignore[no-untyped-call]  # the client's config has no annotations
                    config_file=kubeconfig,
                    context=self.context,
                    client_configuration=configuration,
                    persist_config=False,
                )
            else:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # likewise
        except Exception as error:  # a broken file trips the client's parser in many ways
            source = f"kubeconfig {kubeconfig}" if kubeconfig else "the pod's service account"
            raise ConnectionFailedError(
                f"cannot connect by {source}: {error}; give --kubeconfig or KUBECONFIG, or run in a pod"
            ) from error
        return configuration

    async def login(self) -> kopf.ConnectionInfo:
        """The same for kopf, which asks again when this expires or is refused."""
        configuration = await self.load()
        scheme, _, token = (configuration.api_key.get("BearerToken") or "").partition(" ")
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            proxy_url=configuration.proxy,
            expiration=datetime.now(UTC) + TOKEN_LIFE if token else None,
        )
