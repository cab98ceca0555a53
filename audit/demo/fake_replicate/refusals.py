"""Every answer that is not the right one: the API's own errors, and what a fault puts in an answer's place."""

from datetime import datetime, timedelta
from email.utils import format_datetime

from audit.demo.fake_replicate import bodies
from audit.demo.fake_replicate.bodies import Body
from audit.demo.fake_replicate.delivery import Answer
from audit.demo.fake_replicate.faults import Fault, Odd, Redirected, Refused, Throttled

NOT_FOUND = "The requested resource could not be found."
_PROBLEM = "application/problem+json"
_EDGE_PAGE = b"""<!DOCTYPE html>
<html lang="en-US"><head><title>api.replicate.com | %(status)d: Error</title></head>
<body><h1>Error %(status)d</h1><p>The web server reported an error.</p>
<p>Cloudflare Ray ID: <strong>8f1c0a2b3d4e5f60</strong></p>
</body></html>
"""


def not_found() -> Answer:
    """404, in the API's words."""
    return Answer(404, Body([bodies.refusal(404, NOT_FOUND)]))


def unauthenticated() -> Answer:
    """401, in the API's words."""
    body = bodies.dumped(
        {"title": "Unauthenticated", "detail": "You did not pass a valid authentication token", "status": 401}
    )
    return Answer(401, Body([body]), _PROBLEM)


def not_allowed(method: str) -> Answer:
    """405: this server can be read, not changed."""
    return Answer(405, Body([bodies.refusal(405, f'Method "{method}" not allowed.')]), headers="Allow: GET\r\n")


def throttled(wait: int) -> Answer:
    """429, as the API words it today."""
    detail = f"Request was throttled. Your rate limit resets in ~{wait}s."
    return Answer(429, Body([bodies.refusal(429, detail, retry_after=wait)]), headers=f"Retry-After: {wait}\r\n")


def replacement(fault: Fault | None, path: str, now: datetime) -> Answer | None:
    """The answer that a fault puts in the place of the right one; None where it leaves that alone."""
    match fault:
        case Throttled():
            return _throttled(fault, now)
        case Refused(status=401, body="json"):
            return unauthenticated()
        case Refused():
            return _refused(fault)
        case Redirected():
            location = fault.to or path
            return Answer(fault.status, Body([b""]), "text/html", f"Location: {location}\r\n")
        case Odd():
            return Answer(200, Body([fault.content]), fault.content_type, encoding=fault.encoding)
        case _:
            return None


def _throttled(fault: Throttled, now: datetime) -> Answer:
    wait = fault.wait
    plain = Body([bodies.refusal(429, "Request was throttled.")])
    match fault.form:
        case "seconds":
            return Answer(429, plain, headers=f"Retry-After: {wait}\r\n")
        case "date":
            until = format_datetime(now + timedelta(seconds=wait), usegmt=True)
            return Answer(429, plain, headers=f"Retry-After: {until}\r\n")
        case "body":
            return Answer(429, Body([bodies.refusal(429, "Request was throttled.", retry_after=wait)]))
        case "text":
            detail = f"Request was throttled. Your rate limit resets in ~{wait}s."
            return Answer(429, Body([bodies.refusal(429, detail)]))
        case "old_text":
            unit = "second" if wait == 1 else "seconds"
            detail = f"Request was throttled. Expected available in {wait} {unit}."
            return Answer(429, Body([bodies.dumped({"detail": detail})]))
        case "bare":
            return Answer(429, Body([b""]), None)


_DETAILS = {
    403: "You do not have permission to perform this action.",
    408: "Request timeout.",
    418: "I'm a teapot.",
    422: "The request could not be processed.",
}


def _refused(fault: Refused) -> Answer:
    match fault.body:
        case "html":
            return Answer(fault.status, Body([_EDGE_PAGE % {b"status": fault.status}]), "text/html; charset=UTF-8")
        case "empty":
            return Answer(fault.status, Body([b""]), None)
        case "json":
            detail = _DETAILS.get(fault.status, "Internal server error." if fault.status >= 500 else "Refused.")
            return Answer(fault.status, Body([bodies.refusal(fault.status, detail)]))
