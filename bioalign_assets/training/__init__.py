"""QLoRA fine-tuning through TRL and PEFT."""
