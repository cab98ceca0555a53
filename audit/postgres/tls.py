"""What a URL asks of TLS, in libpq's words or those of other clients, as libpq's parameters.

Where the meaning of another client's word is clear it is taken; any other is refused with what it asks for. None is
passed over: it might have asked for more security than a connection without it has.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NoReturn

from audit.errors import SettingsError

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SSL_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
SSL_OTHER = ("sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version")
AT_LEAST_REQUIRED = SSL_MODES[3:]
# `ssl=` is what SQLAlchemy with asyncpg, node-postgres and JDBC write.
_SSL_WORDS = {
    "true": "require",
    "1": "require",
    "on": "require",
    "no-verify": "require",
    "false": "disable",
    "0": "disable",
    "off": "disable",
}
_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_ALIASES = {"sslca": "sslrootcert"}
"""sqlx's; like all names here without case, "-" and "_": R2DBC writes `sslMode`, sqlx `ssl-mode`."""
_OF_NO_CONSEQUENCE = ("sslpool", "sslresponsetimeout", "sslhandshaketimeout")
"""Pools and clocks of other clients."""
_TAKEN = ("ssl", "sslaccept", "sslfactory", "sslrequire", "sslinline")
"""Other clients' words that are understood here, at least with some values."""
_FLAGS = ("ssl", "sslrequire", "usessl", "tls", "encrypt")
_CODE = "it names code of the client that it is written for, and what that checks is not known"
_REFUSED = {
    "sslidentity": "the client's certificate is in a PKCS12 file, which cannot be read: `openssl pkcs12` makes two "
    "files of it, for sslcert and sslkey",
    "sslfactoryarg": _CODE,
    "sslhostnameverifier": _CODE,
    "sslpasswordcallback": _CODE,
    "sslcontext": _CODE,
    "usessl": "it is another client's word for TLS",
    "tls": "it is another client's word for TLS",
    "tlsmode": "it is another client's word for TLS",
    "encrypt": "it is another client's word for TLS",
    "rejectunauthorized": "it is another client's word for whether certificates are verified",
    "trustservercertificate": "it is another client's word for whether certificates are verified",
}
_INSTEAD = "Say it with sslmode: require encrypts, verify-full (with sslrootcert=FILE or system) verifies as well."
_NON_VALIDATING = "org.postgresql.ssl.nonvalidatingfactory"
_LIKE_LIBPQ = ("org.postgresql.ssl.libpqfactory", "org.postgresql.ssl.jdbc4.libpqfactory")


def folded(parameters: Mapping[str, str], libpq: Collection[str]) -> dict[str, str]:
    """`parameters` with those that concern security by libpq's names, or by the names that are known here.

    Raises SettingsError for one that is neither, and for one that is there twice with two values.
    """
    known = {_plain(name): name for name in libpq if name.startswith(("ssl", "gss", "require"))}
    known |= _ALIASES | {name: name for name in (*_TAKEN, *_OF_NO_CONSEQUENCE, *_REFUSED)}
    found: dict[str, str] = {}
    for name, value in parameters.items():
        meant = name if name in libpq else known.get(_plain(name))
        if meant is None and _plain(name).startswith("ssl"):
            _refuse(
                "has a parameter that begins with ssl and is not libpq's",
                f"Known are sslmode, {', '.join((*SSL_FILES, *SSL_OTHER))}.",
            )
        if found.setdefault(meant or name, value) != value:
            _refuse(f"says {meant} twice, and not the same", "Leave one of them out.")
    return found


def with_flags(parameters: Mapping[str, str]) -> dict[str, str]:
    """`parameters` with "true" for those that ask for TLS by their name alone, as `?ssl` does to JDBC."""
    return {name: value or ("true" if _plain(name) in _FLAGS else "") for name, value in parameters.items()}


def _plain(name: str) -> str:
    return re.sub("[-_]", "", name).lower()


def tls_parameters(parameters: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Libpq's parameters for what `folded` has given. Raises SettingsError, which never quotes a value."""
    said = dict(parameters)
    for name, why in _REFUSED.items():
        if name in said:
            _refuse(f"has {name}, which the audit does not support: {why}", _INSTEAD)
    _understand(said)
    mode, roots = said.get("sslmode", ""), said.get("sslrootcert")
    if mode and mode not in SSL_MODES:
        _refuse(f"has an unknown sslmode; there are {', '.join(SSL_MODES)}", "Correct sslmode in the URL.")
    _check_others(said, mode)
    if roots == "system":
        _check_system(said, mode)
    given = ((name, said.get(name, "")) for name in ("sslmode", *SSL_FILES, *SSL_OTHER))
    return tuple((name, value) for name, value in given if value)


def _understand(said: dict[str, str]) -> None:
    """Put libpq's words in the place of other clients'."""
    mode = _with_ssl(said.pop("ssl", "").lower(), said.get("sslmode", ""))
    required = _SSL_WORDS.get(said.pop("sslrequire", "false").lower())
    if required is None:
        _refuse("has an unknown sslrequire; there are true, false", "Correct sslrequire in the URL.")
    if required == "require" and mode not in AT_LEAST_REQUIRED:
        mode = "require"
    if said.pop("sslinline", "").lower() in ("true", "1", "on"):
        _refuse(
            "has sslinline, which the audit does not support: certificates are read from files, not from the URL",
            "Write them into files, and name those in sslrootcert, sslcert and sslkey.",
        )
    factory = said.pop("sslfactory", "").lower()
    if factory and factory not in (_NON_VALIDATING, *_LIKE_LIBPQ):
        _refuse(f"has sslfactory, which the audit does not support: {_CODE}", _INSTEAD)
    if factory == _NON_VALIDATING:
        mode = mode or "require"
    if "sslaccept" in said:
        mode = _prisma(said, mode)
    said["sslmode"] = mode


def _with_ssl(ssl: str, mode: str) -> str:
    """The mode with what `ssl` asks for, which is never less than that."""
    mode = "require" if mode == "no-verify" else mode
    asked = _SSL_WORDS.get(ssl, ssl)
    if asked and asked not in SSL_MODES:
        _refuse(f"has an unknown ssl; there are true, false, {', '.join(SSL_MODES)}", "Correct ssl in the URL.")
    if asked not in AT_LEAST_REQUIRED or (mode and mode not in SSL_MODES):
        return mode or asked
    if mode == "disable":
        _refuse("has ssl, which asks for TLS, and sslmode=disable", "Drop one of the two.")
    return max(mode or asked, asked, key=SSL_MODES.index)


def _prisma(said: dict[str, str], mode: str) -> str:
    """The mode with Prisma's `sslaccept`, beside which `sslcert` is the authority's certificate."""
    accept = said.pop("sslaccept")
    if accept not in ("strict", "accept_invalid_certs"):
        _refuse("has an unknown sslaccept; there are strict, accept_invalid_certs", "Correct it in the URL.")
    authority = said.pop("sslcert", None) if "sslkey" not in said else None
    if accept == "accept_invalid_certs":
        return mode or "require"
    if mode == "disable":
        _refuse("has sslaccept=strict, which verifies certificates, and sslmode=disable", "Drop one of the two.")
    said.setdefault("sslrootcert", authority or "system")
    return "verify-full"


def _check_others(said: dict[str, str], mode: str) -> None:
    low, high = (_version(said, f"ssl_{end}_protocol_version") for end in ("min", "max"))
    if low is not None and high is not None and low > high:
        _refuse("has an ssl_min_protocol_version above its ssl_max_protocol_version", "Correct one of them.")
    negotiation = said.get("sslnegotiation", "postgres")
    if negotiation not in ("postgres", "direct"):
        _refuse("has an unknown sslnegotiation; there are postgres, direct", "Correct it in the URL.")
    weak = mode not in AT_LEAST_REQUIRED and said.get("sslrootcert") != "system"
    if negotiation == "direct" and weak:
        _refuse(
            "has sslnegotiation=direct, which needs TLS in any case, and an sslmode that may do without",
            "Write sslmode=require or more.",
        )
    if negotiation == "postgres":
        said.pop("sslnegotiation", None)


def _version(said: dict[str, str], name: str) -> int | None:
    if name not in said:
        return None
    places = {version.lower(): place for place, version in enumerate(_VERSIONS)}
    place = places.get(said[name].lower())
    if place is None:
        _refuse(f"has an unknown {name}; there are {', '.join(_VERSIONS)}", "Correct it in the URL.")
    said[name] = _VERSIONS[place]
    return place


def _check_system(said: dict[str, str], mode: str) -> None:
    """Asyncpg takes the machine's own authorities in a way that takes nothing else."""
    if (mode or "verify-full") != "verify-full":
        _refuse("has sslrootcert=system, which means sslmode=verify-full, and another sslmode", "Drop one of the two.")
    if said.get("ssl_min_protocol_version") in _VERSIONS[:3]:  # which is the least in any case
        del said["ssl_min_protocol_version"]
    for name in _first(said, ("sslcert", "sslkey", "sslcrl", *SSL_OTHER[1:])):
        _refuse(f"has sslrootcert=system and {name} together, which is not supported", "Name a file in sslrootcert.")


def _first(said: Mapping[str, str], names: Iterable[str]) -> list[str]:
    return [name for name in names if said.get(name)][:1]


def _refuse(problem: str, next_step: str) -> NoReturn:
    raise SettingsError(problem, next_step)
