"""HTTP message signatures as Genesys Cloud uses them (audiohook.md §2): pure, no clock, no I/O.

Read :mod:`offhook.httpsig.base` for what is signed, :mod:`offhook.httpsig.verify` for what is enforced.
"""

from offhook.httpsig.base import REQUIRED_COMPONENTS, MalformedSignature, SignatureInput, SignedRequest, signature_base
from offhook.httpsig.keys import Key, KeyRing, SecretError, decode_secret
from offhook.httpsig.nonces import NonceCache, NonceMemory
from offhook.httpsig.public_url import PublicUrl
from offhook.httpsig.sign import DOCUMENTED_ORDER, GENESYS_ORDER, sign_request
from offhook.httpsig.verify import RefusalReason, Refused, Verified, Verifier

__all__ = [
    "DOCUMENTED_ORDER",
    "GENESYS_ORDER",
    "REQUIRED_COMPONENTS",
    "Key",
    "KeyRing",
    "MalformedSignature",
    "NonceCache",
    "NonceMemory",
    "PublicUrl",
    "RefusalReason",
    "Refused",
    "SecretError",
    "SignatureInput",
    "SignedRequest",
    "Verified",
    "Verifier",
    "decode_secret",
    "sign_request",
    "signature_base",
]
