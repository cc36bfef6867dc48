"""What a running gateway tells about itself."""
