"""The report of a run: what happened, slot by slot, who sold to whom, and what it was worth to each household.

`series`, `flows`, `content` and `sentences` are pure: books to values. `forms` writes those for programs; `figures`
(plotly) and `page` make one HTML file of them that needs no network.
"""
