"""Reading in a process of its own: a file that was made to fill the memory ends that process and nothing else.

parcel    what comes back: arrays and texts in one file, built from four known classes only
reader    one file read, in a process that ends with it
keeper    the process that forks readers, counts what they take, and ends those that take too much
asking    the server's side: `reading_apart`, in steps
folder    files of the server's data folder
"""
