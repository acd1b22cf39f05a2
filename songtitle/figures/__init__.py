"""What figures of several pages share: style, drawings, and what a figure hands on."""
