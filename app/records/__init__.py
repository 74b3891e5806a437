"""Records: entities of other systems, with files in their fields.

A record is made by the first file that is put into it. It is held (its row locked) first in every
change, then the files in the order of their ids: so no two changes wait for each other. Imports
`files` and what is below.
"""
