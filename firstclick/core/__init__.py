"""What every other room needs: settings, the home, errors, logging, waiting."""
