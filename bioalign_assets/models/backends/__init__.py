"""What trains a model: transformers with PEFT, or Unsloth. Adapters of both are PEFT's, and transformers runs them."""
