"""How samples are kept for years: layouts of sealed days side by side, and rows beside sealed days in the system itself.

`fleet` makes values with the noise of real GPUs, `layouts` compares forms of storing them, `days` seals days of the schema and
asks the same of rows and of arrays in SQL, and `history` asks the API about a day in rows, one that is sealed, and a year.
"""
