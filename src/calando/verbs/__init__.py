"""The verbs of `calando`: what each command does, as a public function with the same arguments and defaults.

    compare       which strategy is best on a task                    `calando compare`
    train         one run of one strategy                             `calando train`
    find          the learning-rate range test of a task              `calando find`
    schedules     lint and plot what texts schedule                   `calando lint`, `calando plot`
    study         show a study, write its report, serve its page      `calando show`, `report`, `serve`
    describe      what there is to choose from                        `calando strategies`, `workloads`, `schedules`
    draw          a picture of an answer                              `--output`

The command line is built from these functions' signatures before a verb is chosen. Importing one of these modules
therefore imports the standard library and `calando.errors` only; a function imports what it needs when it is called.
"""
