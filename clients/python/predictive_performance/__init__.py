"""The import paths of the guide; everything lives in `corun_client`."""
