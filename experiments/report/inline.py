"""Shows what a report is made of inside a notebook."""

from IPython import display

from experiments.report import markdown, page, writer


def show(*blocks: page.Block) -> None:
  """Shows blocks in a cell's output, with any matplotlib backend.

  Args:
    *blocks: tables and texts come as Markdown, a figure as PNG with its caption
      below; its drawing is closed.
  """
  for block in blocks:
    if isinstance(block, page.Figure):
      picture = writer.picture(block)
      display.display(display.Image(picture['png'], width=picture['width']))
    display.display(display.Markdown(markdown.block_text(block)))
