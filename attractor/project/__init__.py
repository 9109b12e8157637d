"""What a project is: its files, its manifests, its commands, and which part of it needs which."""
