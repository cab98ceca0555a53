"""The certificates that servers are verified by, read when the first is asked over TLS.

aiohttp would read them twice as soon as it is imported, which takes longer than all else that it does at that time.
"""

import os
import ssl
from functools import cache

_VARIABLE = ssl.get_default_verify_paths().openssl_cafile_env
_given = os.environ.get(_VARIABLE)
os.environ[_VARIABLE] = os.devnull
try:
    import aiohttp  # noqa: F401 - for this
finally:
    if _given is None:
        del os.environ[_VARIABLE]
    else:
        os.environ[_VARIABLE] = _given


@cache
def verifying() -> ssl.SSLContext:
    """By the system's certificates, or those that SSL_CERT_FILE and SSL_CERT_DIR name; what aiohttp would use."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
