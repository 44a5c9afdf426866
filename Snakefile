"""Takeoff: which factor made deep learning take off? The workflow itself is in workflow/Snakefile."""


include: "workflow/Snakefile"


# The target that is made where none is named; an included file cannot set it.
workflow.default_target = "all"
