"""What a page may load and run: nothing but its own style and script."""

import base64
import hashlib


def content_security_policy(style: str, script: str) -> str:
  """The policy of a page that is one file.

  Args:
    style: all that its style element holds.
    script: all that its script element holds.

  Returns:
    The content of <meta http-equiv="Content-Security-Policy">: pictures are
    data URIs, nothing is asked of any server, and no other script runs.
  """
  return (
    "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none';"
    f' style-src {_digest(style)}; script-src {_digest(script)}'
  )


def _digest(text: str) -> str:
  digest = hashlib.sha256(text.encode()).digest()
  return f"'sha256-{base64.b64encode(digest).decode()}'"
