"""Record, analyse, report, repeat: a job that runs for months unattended.

A job is a TOML file (settings.py). What is to be done next is derived from what lies on the disk, and from nothing
else: whole segments that the store does not hold are to be analysed, a time of the schedule without a report is to be
reported, what is older than the settings keep is to be removed. So everything may be killed at any time, and the next
start goes on.

    run.py       the loop: watches over the two processes below, which share nothing but folders
    recorder.py  the process that records, and begins again when its recorder dies
    work.py      the process that analyses, reports and removes; its memory and its time are bounded
"""
