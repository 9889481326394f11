"""Where models come from: packages, the Hugging Face Hub, seeds. Each source fills a folder; `publish` places it."""
