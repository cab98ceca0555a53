"""The frame of every command: options, settings, config file, terminal, logs, signals."""
