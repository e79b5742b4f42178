"""What an input row holds where a task is a student: the columns that models and data agree on.

A row describes one question that a student met: column :data:`ITEM` is the number of the item,
column :data:`POSITION` counts the student's questions in the order of time from 0 (-1: padding, no
question at all), the columns from :data:`FEATURES` on say what is known of the item: one 0/1 column
a skill, then an estimate of its difficulty where there is one.
"""

ITEM, POSITION, FEATURES = 0, 1, 2
