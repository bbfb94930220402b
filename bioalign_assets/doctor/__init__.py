"""``bioalign doctor``: what this machine has, what a study needs, whether they fit, and how to mend what doesn't.

Nothing is downloaded, written or trained; transformers is never imported, so that an answer takes seconds.
"""
