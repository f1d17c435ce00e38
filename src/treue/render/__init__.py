"""Templates to ready messages: load, compile once, render in a sandbox, write the mail.

`renderer.Renderer` turns a template, a channel and a context into a `Rendered` or a `RenderFailure`;
`mail.compose` turns the result into the bytes of an e-mail; `check.check_template` finds what is wrong before
a customer does.
"""
