"""Lambda handlers, one folder for each function: parse the event, call one use case, shape the reply."""

import gc

# The imports of a function make a hundred thousand objects, all of which stay. To search them for garbage again and
# again takes a tenth of a cold start. ``bootstrap.prepare``, which each handler calls after its imports, ends this.
gc.disable()
