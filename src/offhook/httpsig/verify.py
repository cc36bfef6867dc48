"""What is enforced: from an upgrade request to :class:`Verified` or :class:`Refused` (audiohook.md §2.3).

The reasons are for our own log and for ``doctor``. The peer learns nothing but that it was refused, and the shell
waits before it says so.
"""

import enum
import hmac
from dataclasses import dataclass, field

from offhook.httpsig.base import (
    REQUIRED_COMPONENTS,
    MalformedSignature,
    SignatureInput,
    SignedRequest,
    parse_signature_headers,
    signature_base,
)
from offhook.httpsig.keys import Key, KeyLookup
from offhook.httpsig.nonces import NonceCache
from offhook.httpsig.public_url import PublicUrl
from offhook.httpsig.sign import sign_base

#: 128 bits in base64 (audiohook.md §2.2).
MIN_NONCE_CHARS = 22
MAX_NONCE_CHARS = 256

# Signatures of unknown keys are computed like all others, with this in place of a secret. What comes out is refused
# whether it matches or not, so it need not be secret.
_DUMMY_SECRETS = (b"offhook has no such key",)


class RefusalReason(enum.StrEnum):
    """Why a request was refused."""

    NO_API_KEY = "no_api_key"
    UNSIGNED = "unsigned"
    MALFORMED = "malformed"
    MISSING_COMPONENT = "missing_component"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    UNKNOWN_KEY = "unknown_key"
    KEY_MISMATCH = "key_mismatch"
    NONCE_SHORT = "nonce_short"
    REPLAYED = "replayed"
    WRONG_SIGNATURE = "wrong_signature"

    @property
    def code(self) -> str:
        """The stable error code, as in :mod:`offhook.errors`."""
        return _CODES[self]


_CODES = {
    RefusalReason.NO_API_KEY: "OH-AUTH-01",
    RefusalReason.UNKNOWN_KEY: "OH-AUTH-02",
    RefusalReason.UNSIGNED: "OH-AUTH-03",
    RefusalReason.MALFORMED: "OH-AUTH-04",
    RefusalReason.MISSING_COMPONENT: "OH-AUTH-05",
    RefusalReason.EXPIRED: "OH-AUTH-06",
    RefusalReason.NOT_YET_VALID: "OH-AUTH-07",
    RefusalReason.KEY_MISMATCH: "OH-AUTH-08",
    RefusalReason.NONCE_SHORT: "OH-AUTH-09",
    RefusalReason.REPLAYED: "OH-AUTH-10",
    RefusalReason.WRONG_SIGNATURE: "OH-AUTH-11",
}


@dataclass(frozen=True, slots=True)
class Verified:
    """The request comes from the holder of the key.

    ``signed`` is False for a key without secret, where the API key alone was checked. ``nonce`` is there for a shell
    that remembers nonces elsewhere than in the cache given to :meth:`Verifier.verify`.
    """

    key_id: str = field(repr=False)
    signed: bool = True
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The request is not let in; ``detail`` is one line for the log and repeats no value of the request."""

    reason: RefusalReason
    detail: str


class _Refusal(Exception):
    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(detail)
        self.refused = Refused(reason, detail)


class Verifier:
    """Checks upgrade requests.

    ``max_age`` and ``clock_skew`` are in seconds: a signature is good from ``clock_skew`` before its ``created`` until
    ``max_age + clock_skew`` after it (Genesys' sample applies the skew the wrong way round; trap 20).
    """

    def __init__(self, max_age: float = 10.0, clock_skew: float = 3.0, public_url: PublicUrl | None = None) -> None:
        self._max_age = max_age
        self._clock_skew = clock_skew
        self._public_url = public_url

    @property
    def replay_window(self) -> float:
        """Seconds for which a nonce must be remembered after it was first seen."""
        return self._max_age + 2 * self._clock_skew

    def verify(
        self, request: SignedRequest, keys: KeyLookup, nonces: NonceCache | None, now: float
    ) -> Verified | Refused:
        """Check ``request`` at ``now`` (Unix seconds).

        With ``nonces=None`` the caller must itself refuse a :attr:`Verified.nonce` that it has seen for this key.
        """
        try:
            verified = self._check(request, keys, now)
        except _Refusal as refusal:
            return refusal.refused
        except MalformedSignature as error:
            return Refused(RefusalReason.MALFORMED, str(error))
        if verified.nonce is None or nonces is None:
            return verified
        # Last of all, so that only good signatures use up memory, and a bad one does not use up a good nonce.
        if not nonces.remember(verified.key_id, verified.nonce, now):
            return Refused(RefusalReason.REPLAYED, "the nonce was used before")
        return verified

    def _check(self, request: SignedRequest, keys: KeyLookup, now: float) -> Verified:
        key_id = request.headers.get("x-api-key", "").strip(" \t")
        if not key_id:
            raise _Refusal(RefusalReason.NO_API_KEY, "the request has no X-API-KEY header")
        key = keys.find(key_id)
        if key is not None and not key.secrets:
            return Verified(key_id, signed=False)
        signature_input, signature = self._read(request, key)
        self._check_cover(signature_input, key_id)
        self._check_times(signature_input, now)
        nonce = self._check_nonce(signature_input)
        self._check_signature(request, signature_input, signature, key)
        return Verified(key_id, nonce=nonce)

    def _read(self, request: SignedRequest, key: Key | None) -> tuple[SignatureInput, bytes]:
        signature_input = request.headers.get("signature-input")
        signature = request.headers.get("signature")
        if signature_input is None and signature is None:
            if key is None:
                raise _Refusal(RefusalReason.UNKNOWN_KEY, "there is no such X-API-KEY")
            raise _Refusal(RefusalReason.UNSIGNED, "the request is not signed")
        if signature_input is None or signature is None:
            raise MalformedSignature("only one of the headers Signature and Signature-Input is there")
        return parse_signature_headers(signature_input, signature)

    def _check_cover(self, signature_input: SignatureInput, key_id: str) -> None:
        missing = sorted(REQUIRED_COMPONENTS.difference(signature_input.components))
        if missing:
            raise _Refusal(RefusalReason.MISSING_COMPONENT, f"the signature does not cover {', '.join(missing)}")
        if signature_input.text("keyid") != key_id:
            raise _Refusal(RefusalReason.KEY_MISMATCH, "the signature's keyid is not the X-API-KEY")

    def _check_times(self, signature_input: SignatureInput, now: float) -> None:
        created = signature_input.number("created")
        expires = signature_input.number("expires")
        if created is None:
            raise MalformedSignature("the signature does not say when it was created")
        if created > now + self._clock_skew:
            raise _Refusal(RefusalReason.NOT_YET_VALID, f"the signature is from {created - now:.0f} s in the future")
        if now - created > self._max_age + self._clock_skew:
            raise _Refusal(RefusalReason.EXPIRED, f"the signature is {now - created:.0f} s old")
        if expires is not None and now > expires + self._clock_skew:
            raise _Refusal(RefusalReason.EXPIRED, f"the signature expired {now - expires:.0f} s ago")

    def _check_nonce(self, signature_input: SignatureInput) -> str:
        nonce = signature_input.text("nonce") or ""
        if len(nonce) < MIN_NONCE_CHARS:
            raise _Refusal(RefusalReason.NONCE_SHORT, f"the nonce has fewer than {MIN_NONCE_CHARS} characters")
        if len(nonce) > MAX_NONCE_CHARS:
            raise MalformedSignature(f"the nonce has more than {MAX_NONCE_CHARS} characters")
        return nonce

    def _check_signature(
        self, request: SignedRequest, signature_input: SignatureInput, signature: bytes, key: Key | None
    ) -> None:
        dialled = request if self._public_url is None else self._public_url.as_dialled(request)
        base = signature_base(dialled, signature_input.components, signature_input.serialized)
        # Every secret is tried, so that the time does not tell which one was right, or whether there is one.
        matches = [
            hmac.compare_digest(sign_base(secret, base), signature)
            for secret in (_DUMMY_SECRETS if key is None else key.secrets)
        ]
        if key is None:
            raise _Refusal(RefusalReason.UNKNOWN_KEY, "there is no such X-API-KEY")
        if not any(matches):
            raise _Refusal(RefusalReason.WRONG_SIGNATURE, "the signature does not match")
