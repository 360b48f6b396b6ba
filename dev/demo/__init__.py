"""The demo: one policy travels the whole loop, told step by step, each line printed when it was seen."""
