"""Every error Onward raises on purpose, and who retries it.

OnwardError                  .code: stable, the same in logs, the command line and the API
├─ Retryable                 nothing was decided: the message comes again
│   ├─ StoreUnavailable      the store did not answer, or said no for a passing reason
│   ├─ Ambiguous             a commit may or may not have been applied
│   ├─ NotDelivered          a webhook's receiver could not be reached, or was not to be
│   └─ ModelUnavailable      the model is out of reach
│      ├─ RateLimited        it is over its quota
│      └─ BadAnswer          it answered nothing, or nothing that can be read
├─ LeaseLost                 somebody else holds the session now: stop, append nothing
├─ Permanent                 recorded as an event; trying again would not help
│   ├─ CorruptLog            the log does not verify
│   ├─ UnreadableLog         written by a newer release, or by one this release no longer reads
│   ├─ StepFailed            in a workflow: a step of it failed for good
│   │  └─ ChildFailed        a session that it started did
│   └─ ModelRefused          the model will not answer this request, however often it is asked
│      ├─ ModelBlocked       for what it says or would say
│      └─ PromptTooLong      it does not fit into the model's window
└─ UsageError                the caller's mistake: it changed nothing
    ├─ BadInput              a value is wrong; the message names the field
    ├─ NotFound              no such session, approval or call
    ├─ Refused               right form, wrong moment: the message says what stands instead
    │  └─ Gone               it was there once, and will not be again
    ├─ Unidentified          nobody is known by what the caller has shown
    └─ NotAllowed            it is known who asks, and they may not
"""

from __future__ import annotations


class OnwardError(Exception):
    """Something went wrong in Onward."""

    code = "error"


class Retryable(OnwardError):
    """Nothing was decided; the same attempt may succeed later."""

    code = "unavailable"


class StoreUnavailable(Retryable):
    """The store did not answer."""

    code = "store_unavailable"


class Ambiguous(Retryable):
    """A commit was sent and its fate is unknown; read the commit document to learn it."""

    code = "ambiguous"


class NotDelivered(Retryable):
    """A webhook's receiver could not be reached, or its address is one that must not be."""

    code = "not_delivered"


class ModelUnavailable(Retryable):
    """The model is out of reach. `retry_after` is in seconds, when the model said it."""

    code = "model_unavailable"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(ModelUnavailable):
    """The model is over its quota."""

    code = "rate_limited"


class BadAnswer(ModelUnavailable):
    """The model answered nothing, or nothing that can be read (an empty answer, a malformed call). Asked again it may
    do better, but not for ever. `tokens` is what the answer cost."""

    code = "bad_answer"

    def __init__(self, message: str, tokens: int = 0) -> None:
        super().__init__(message)
        self.tokens = tokens


class LeaseLost(OnwardError):
    """The lease was taken by somebody else; nothing was appended."""

    code = "lease_lost"


class Permanent(OnwardError):
    """Trying again would not help."""

    code = "permanent"


class CorruptLog(Permanent):
    """The log does not verify."""

    code = "corrupt_log"


class UnreadableLog(Permanent):
    """The log holds something that this release cannot read."""

    code = "unreadable_log"


class StepFailed(Permanent):
    """Raised in a workflow: what it asked for failed for good, was refused, or was not approved. `name` is the step's,
    `code` and the message say what was recorded."""

    code = "step_failed"

    def __init__(self, message: str, code: str = "step_failed", name: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.name = name


class ChildFailed(StepFailed):
    """Raised in a workflow: a session that it started failed, or was cancelled."""


class ModelRefused(Permanent):
    """The model will not answer this request. `tokens` is what was paid for learning that."""

    code = "model_refused"

    def __init__(self, message: str, tokens: int = 0) -> None:
        super().__init__(message)
        self.tokens = tokens


class ModelBlocked(ModelRefused):
    """The model will not answer for what the prompt says or the answer would say."""

    code = "model_blocked"


class PromptTooLong(ModelRefused):
    """The prompt does not fit into the model's window."""

    code = "prompt_too_long"


class UsageError(OnwardError):
    """The caller's mistake; nothing was changed."""

    code = "usage"


class BadInput(UsageError):
    """A value is wrong."""

    code = "bad_input"


class NotFound(UsageError):
    """There is no such thing."""

    code = "not_found"

    def __init__(self, message: str, code: str = "not_found") -> None:
        super().__init__(message)
        self.code = code


class Refused(UsageError):
    """Right form, wrong moment. `stands` says what holds instead."""

    code = "refused"

    def __init__(self, message: str, code: str = "refused", stands: str = "") -> None:
        super().__init__(f"{message}: {stands}" if stands else message)
        self.code = code
        self.stands = stands


class Gone(Refused):
    """It was there, and will not be again. `stands` says what became of it."""

    code = "gone"

    def __init__(self, message: str, code: str = "gone", stands: str = "") -> None:
        super().__init__(message, code, stands)


class Unidentified(UsageError):
    """Nobody is known by what the caller has shown."""

    code = "unidentified"


class NotAllowed(UsageError):
    """Whoever asks is known, and may not do this."""

    code = "not_allowed"

    def __init__(self, message: str, code: str = "not_allowed") -> None:
        super().__init__(message)
        self.code = code
