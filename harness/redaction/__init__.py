"""No secret gets out: redaction of what is written, and a scan that does not trust it."""

from harness.redaction.redact import Redactor, redact_connection_string
from harness.redaction.stream import StreamFilter

__all__ = ["Redactor", "StreamFilter", "redact_connection_string"]

# The name that the product's engineers know from their guide.
_redact_connection_string = redact_connection_string
