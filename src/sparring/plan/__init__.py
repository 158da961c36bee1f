"""`sparring plan`: what a run would do on another machine, from figures measured on this one.

`measure` takes the figures, or a saved file has them; `shape` says by arithmetic what each resource
could do alone; `simulation` plays a stretch of a run event by event; `plans` compares shapes.
"""
