"""`TEXTS`: texts of schedules, one for each thing the grammar has."""

TEXTS = [
    "linear(0, 1, over='5%') >> cosine(1, 0)",
    "step(every='30 epochs', factor=0.1) * linear(0.1, 1, over=500)",
    "multistep(at=['50%', \"75%\"], factor=1e-1)",
    "wsd(warmup='2 epochs', decay='10%', shape=one_minus_sqrt)",
    "one_cycle",
    "((constant(1, over=10) >> polynomial(1, 0, power=.5)) * 2) * exponential(1, 0.01)",
    "repeat((linear(0, 1, over=5) >> 0.5 * cosine(1, 0)) + 0.1, every='25%', decay=.5)",
    "per_group({'head': cosine(1, 0) + 0.1, \"body\": 0.1}, others=staircase(linear(1, 0), every='1 epoch')) * 2",
]
