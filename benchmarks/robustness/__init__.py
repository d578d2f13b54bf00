"""What the commands bear: killed, with file operations that fail, under settings of other programs.

phases        the commands that are disturbed, what each is given, and what it must have made in the end
disturbances  the trials: which phase is disturbed when and how, and what held
environments  settings that belong to other programs
report        the trials in a file, and the table made from them
"""
