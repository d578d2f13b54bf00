"""What a run under way needs.

results_folder  its folder: marker of what is missing, and lock
processes       child processes, ended with their parent
progress        what a person sees of several runs at once
platforms       where torch has no build
logs            its history for the tools of --log
cost            time, memory and energy of the steps
"""
