"""From logged rates to the schedule that made them.

rates             what was logged: sorted, its rounding read off
forms             the forms that are tried, simplest first
fitted_piece, fitted_chain, rounded_chain, held_levels, least_squares     how one is fitted
recovered         the simplest that meets every rate, as a text
"""
