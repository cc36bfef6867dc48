"""What Genesys dialled, as opposed to what arrived here: for proxies that change host or path (trap 7)."""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from offhook.httpsig.base import SignedRequest, normalize_authority


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """The Base Connection URI as Genesys has it, and the base path under which it arrives here.

    ``authority`` replaces the ``Host`` that we saw, ``path`` replaces the prefix ``base_path`` of the request target;
    the Connector ID and the query after it stay byte for byte.
    """

    authority: str
    path: str
    base_path: str

    @classmethod
    def parse(cls, url: str, base_path: str) -> "PublicUrl":
        """Read ``wss://HOST[:PORT]/path``; ValueError says what is wrong with it."""
        parts = urlsplit(url)
        if parts.scheme not in ("wss", "ws", "https", "http"):
            raise ValueError("the public URL must start with wss://")
        if not parts.hostname or "@" in parts.netloc:
            raise ValueError("the public URL needs a host and no user name")
        if parts.query or parts.fragment:
            raise ValueError("the public URL must not have a query or a fragment")
        return cls(normalize_authority(parts.netloc), parts.path.rstrip("/"), base_path.rstrip("/"))

    def as_dialled(self, request: SignedRequest) -> SignedRequest:
        """Return the request as Genesys sent and signed it."""
        target = request.request_target
        rest = target.removeprefix(self.base_path)
        if not target.startswith(self.base_path) or (rest and rest[0] not in "/?"):
            # Not below our base path: nothing is known about what a proxy did to it.
            return replace(request, authority=self.authority)
        path = self.path + rest
        if not path.startswith("/"):
            path = "/" + path
        return replace(request, authority=self.authority, request_target=path)
