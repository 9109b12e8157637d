"""What a session starts at each of its hooks: files that stand alone, and the settings naming them.

Started as `python -I -S FILE`, so each uses the standard library and its neighbours here alone.
"""
