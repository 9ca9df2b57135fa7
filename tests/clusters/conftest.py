import sys
from pathlib import Path

# Workers import `cluster_llms` by its name.
sys.path.insert(0, str(Path(__file__).parent))
